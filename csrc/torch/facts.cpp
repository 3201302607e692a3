// Checks of what prepared calls depend on: a step has dozens of these, which as bytecode would take as long as a
// kernel.
#include "torch/facts.h"

namespace inferno {
namespace {

// Borrowed; None for a key that is missing, and nullptr for an error.
PyObject* held(PyObject* dictionary, PyObject* key) {
  PyObject* found = PyDict_GetItemWithError(dictionary, key);
  return found != nullptr || PyErr_Occurred() ? found : Py_None;
}

// 1 if every key leads to its value, 0 if not, -1 for an error. same: dictionary, key, value, dictionary, ...
int are_same(PyObject* same) {
  const Py_ssize_t count = PyTuple_Size(same);
  for (Py_ssize_t i = 0; i + 2 < count; i += 3) {
    PyObject* found = held(PyTuple_GetItem(same, i), PyTuple_GetItem(same, i + 1));
    if (found != PyTuple_GetItem(same, i + 2)) return found == nullptr ? -1 : 0;
  }
  return count < 0 ? -1 : 1;
}

// The same for keys without a value, or with one that is false. unset: dictionary, key, dictionary, ...
int are_unset(PyObject* unset) {
  const Py_ssize_t count = PyTuple_Size(unset);
  for (Py_ssize_t i = 0; i + 1 < count; i += 2) {
    PyObject* found = held(PyTuple_GetItem(unset, i), PyTuple_GetItem(unset, i + 1));
    const int set = found == nullptr ? -1 : PyObject_IsTrue(found);
    if (set != 0) return set < 0 ? -1 : 0;
  }
  return count < 0 ? -1 : 1;
}

// The same for tensors that need no gradient.
int are_plain(PyObject* tensors) {
  const Py_ssize_t count = PyTuple_Size(tensors);
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* needs = PyObject_GetAttrString(PyTuple_GetItem(tensors, i), "requires_grad");
    if (needs == nullptr) return -1;
    const int set = PyObject_IsTrue(needs);
    Py_DECREF(needs);
    if (set != 0) return set < 0 ? -1 : 0;
  }
  return count < 0 ? -1 : 1;
}

}  // namespace

PyObject* hold(PyObject*, PyObject* arguments) {
  PyObject *same, *unset, *state;
  if (!PyArg_ParseTuple(arguments, "OOO", &same, &unset, &state)) return nullptr;
  int holds = are_same(same);
  if (holds == 1) holds = are_unset(unset);
  if (holds == 1) holds = are_plain(state);
  return holds < 0 ? nullptr : PyBool_FromLong(holds);
}

}  // namespace inferno
