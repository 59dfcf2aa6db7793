#include "core/context.h"

#include <cassert>
#include <utility>

namespace sumi {
namespace {

// The default context of threads outside any scope, and the innermost scope's.
thread_local Context t_initial;
thread_local Context* t_current = nullptr;

}  // namespace

Context& Context::current() { return t_current != nullptr ? *t_current : t_initial; }

void ContextScope::enter() { outer_ = std::exchange(t_current, &context_); }

ContextScope::~ContextScope() {
  assert(t_current == &context_ && "scopes end in reverse order, on the thread where they began");
  t_current = outer_;
}

}  // namespace sumi
