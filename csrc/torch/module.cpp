// Makes the library importable; its operators register when it loads.
#include <Python.h>

#include <string>

#include "core/neuron_models.h"
#include "core/synapse.h"
#include "torch/facts.h"

#ifdef INFERNO_WITH_CUDA
constexpr int has_cuda = 1;
#else
constexpr int has_cuda = 0;
#endif

// "name: parameter parameter ..." of each neuron model, in the order of their numbers.
static std::string neuron_models() {
  std::string text;
  for (int i = 0; i < int(inferno::NeuronModel::count); ++i) {
    const auto info = inferno::neuron_model_info(inferno::NeuronModel(i));
    text += std::string(info.name) + ": " + info.parameters + "\n";
  }
  return text;
}

// "name: currents decays injects" of each synapse model, in the order of their numbers.
static std::string synapse_models() {
  std::string text;
  for (int i = 0; i <= int(inferno::SynapseModel::double_exponential); ++i)
    inferno::dispatch_synapse(inferno::SynapseModel(i), [&](auto m) {
      using M = decltype(m);
      text += std::string(M::name) + ": " + std::to_string(M::currents) + " " + std::to_string(M::decays) + " " +
              std::to_string(int(M::injects)) + "\n";
    });
  return text;
}

PyMODINIT_FUNC PyInit__C(void) {
  static PyMethodDef functions[] = {{"hold", inferno::hold, METH_VARARGS, nullptr}, {nullptr, nullptr, 0, nullptr}};
  static PyModuleDef definition = {
      PyModuleDef_HEAD_INIT, "_C", nullptr, -1, functions, nullptr, nullptr, nullptr, nullptr};
  PyObject* module = PyModule_Create(&definition);
  if (module == nullptr) return nullptr;
  if (PyModule_AddIntConstant(module, "has_cuda", has_cuda) < 0 ||
      PyModule_AddStringConstant(module, "archs", INFERNO_ARCHS) < 0 ||
      PyModule_AddStringConstant(module, "toolkit", INFERNO_TOOLKIT) < 0 ||
      PyModule_AddStringConstant(module, "neuron_models", neuron_models().c_str()) < 0 ||
      PyModule_AddStringConstant(module, "synapse_models", synapse_models().c_str()) < 0) {
    Py_DECREF(module);
    return nullptr;
  }
  return module;
}
