// One primitive with the memories of its operands, bound to pointers before each run.
#pragma once

#include <vector>

#include "exec/cpu/onednn/session.h"
#include "model/base/bfloat16.h"

namespace rehearse::exec::onednn {

// The library's name of a type.
template <class Real>
inline constexpr auto kTypeOf = dnnl::memory::data_type::f32;
template <>
inline constexpr auto kTypeOf<BFloat16> = dnnl::memory::data_type::bf16;

class Call {
 public:
  // arguments: which operands (DNNL_ARG_SRC, ...) it is called with.
  Call(const dnnl::engine& engine, const dnnl::primitive& primitive,
       const dnnl::primitive_desc_base& description, const std::vector<int>& arguments);

  void bind(int argument, const void* data);
  // Runs to the end: the stream of a CPU engine is synchronous.
  void run(Session& session) const;

 private:
  dnnl::primitive primitive_;
  std::vector<dnnl::memory> memories_;
  // As the C interface takes them: the C++ one would build a list in every run.
  std::vector<dnnl_exec_arg_t> arguments_;
};

// Parts of the work space of one kernel, one after the other.
class WorkspaceLayout {
 public:
  // The part's offset.
  std::size_t add(std::size_t bytes);
  std::size_t size() const { return size_; }

 private:
  std::size_t size_ = 0;
};

// Attributes of every primitive: it gets its scratchpad from us.
dnnl::primitive_attr attributes();

}  // namespace rehearse::exec::onednn
