// What something that was made ready for the next step depends on; see inferno_cuda/state/_facts.py.
#pragma once
#include <Python.h>

namespace inferno {

// hold(same, unset, state): whether all of it is as it was.
PyObject* hold(PyObject*, PyObject* arguments);

}  // namespace inferno
