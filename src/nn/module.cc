#include "nn/module.h"

namespace sumi::nn {
namespace {

class FunctionVisitor : public ParamVisitor {
 public:
  FunctionVisitor(const std::string& prefix, const std::function<void(const std::string&, Param&)>& f)
      : prefix_(prefix), f_(f) {}

 protected:
  void param(const std::string& full_name, Param& param) override { f_(prefix_ + full_name, param); }

 private:
  const std::string& prefix_;
  const std::function<void(const std::string&, Param&)>& f_;
};

class AdaptableVisitor : public FunctionVisitor {
 public:
  using FunctionVisitor::FunctionVisitor;

 protected:
  void param(const std::string& full_name, Param& p) override {
    if (p.adaptable) FunctionVisitor::param(full_name, p);
  }
  void absent_param(const std::string& full_name, Param& p) override { FunctionVisitor::param(full_name, p); }
};

}  // namespace

void ParamVisitor::operator()(std::string_view name, Param& p) { param(prefix_ + std::string(name), p); }

void ParamVisitor::absent(std::string_view name, Param& p) { absent_param(prefix_ + std::string(name), p); }

void ParamVisitor::operator()(std::string_view name, Module& child) {
  const size_t before = prefix_.size();
  prefix_ += name;
  if (!name.empty()) prefix_ += '.';
  child.visit(*this);
  prefix_.resize(before);
}

void for_each_param(Module& module, const std::string& prefix,
                    const std::function<void(const std::string&, Param&)>& f) {
  FunctionVisitor visitor(prefix, f);
  module.visit(visitor);
}

void for_each_adaptable(Module& module, const std::string& prefix,
                        const std::function<void(const std::string&, Param&)>& f) {
  AdaptableVisitor visitor(prefix, f);
  module.visit(visitor);
}

}  // namespace sumi::nn
