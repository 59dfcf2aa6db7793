// The base of every layer and model: named parameters, listed by one function, visit().
//
// One visit() serves loading, listing, casting, moving, initialising and training.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/tensor.h"

namespace sumi::nn {

// A parameter: the shape that the checkpoint must have, and the tensor once it is bound. The layout is the file's
// ([out,in] linear, [out,in,kh,kw] convolution), and so is the type.
struct Param {
  Shape shape;
  Tensor value;
  // A checkpoint may hold the same values under another shape of equal size: a 1x1 convolution stored as a linear
  // matrix or the other way round.
  bool reshape_allowed = false;
  // The layer computes with the changes that a run makes to it (nn/adapters.h): all parameters of Linear, Conv2d,
  // GroupNorm and LayerNorm.
  bool adaptable = false;
};

class Module;

class ParamVisitor {
 public:
  virtual ~ParamVisitor() = default;
  // Shows a parameter of the module being visited.
  void operator()(std::string_view name, Param& param);
  // Visits a child under `name.`; an empty name adds nothing.
  void operator()(std::string_view name, Module& child);
  // Shows a parameter that the module computes without, but could be given by a run's changes: the bias of a layer
  // that has none. It has a shape and no value.
  void absent(std::string_view name, Param& param);

 protected:
  virtual void param(const std::string& full_name, Param& param) = 0;
  virtual void absent_param(const std::string& /*full_name*/, Param& /*param*/) {}

 private:
  std::string prefix_;
};

class Module {
 public:
  virtual ~Module() = default;
  virtual void visit(ParamVisitor& visitor) = 0;
};

// Calls `f(full_name, param)` for each parameter of `module`, names prefixed with `prefix`.
void for_each_param(Module& module, const std::string& prefix,
                    const std::function<void(const std::string&, Param&)>& f);

// The same for each parameter that a run's changes may be made to: those that are adaptable, and the absent ones.
void for_each_adaptable(Module& module, const std::string& prefix,
                        const std::function<void(const std::string&, Param&)>& f);

}  // namespace sumi::nn
