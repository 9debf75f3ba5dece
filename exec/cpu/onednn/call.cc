#include "exec/cpu/onednn/call.h"

#include <dnnl_debug.h>

#include <algorithm>

#include "model/base/check.h"

namespace rehearse::exec::onednn {

Call::Call(const dnnl::engine& engine, const dnnl::primitive& primitive,
           const dnnl::primitive_desc_base& description, const std::vector<int>& arguments)
    : primitive_(primitive) {
  for (const int argument : arguments) {
    const auto layout = description.query_md(dnnl::query::exec_arg_md, argument);
    memories_.push_back(dnnl::memory(layout, engine, DNNL_MEMORY_NONE));
    arguments_.push_back({argument, memories_.back().get()});
  }
}

void Call::bind(int argument, const void* data) {
  const auto found = std::find_if(arguments_.begin(), arguments_.end(),
                                  [&](const auto& a) { return a.arg == argument; });
  REHEARSE_CHECK(found != arguments_.end(), "the primitive has no operand {}", argument);
  // The library's memories point at what they read and at what they write alike.
  memories_[static_cast<std::size_t>(found - arguments_.begin())].set_data_handle(
      const_cast<void*>(data));
}

void Call::run(Session& session) const {
  const auto status =
      dnnl_primitive_execute(primitive_.get(), session.stream.get(),
                             static_cast<int>(arguments_.size()), arguments_.data());
  REHEARSE_CHECK(status == dnnl_success, "a prepared primitive failed: {}",
                 dnnl_status2str(status));
}

std::size_t WorkspaceLayout::add(std::size_t bytes) {
  constexpr std::size_t kLine = 64;
  const std::size_t offset = size_;
  size_ += (bytes + kLine - 1) / kLine * kLine;
  return offset;
}

dnnl::primitive_attr attributes() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

}  // namespace rehearse::exec::onednn
