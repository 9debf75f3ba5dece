#include "model/schedule/scatter.h"

#include <fmt/format.h>

#include "model/base/check.h"
#include "model/net/lowering.h"

namespace rehearse {

Status check_shares(const Net& net, std::int64_t ways) {
  for (std::size_t block = 1; block < net.blocks.size(); ++block) {
    for (const ValueId value : values_across(net, begin_of(net, BlockId(block)))) {
      const std::int64_t width = net.values[value.index()].shape.dims.back();
      if (width % ways == 0) continue;
      return error(fmt::format(
          "{} features of what crosses stages do not divide into {} ways of tensor parallelism",
          width, ways));
    }
  }
  return success();
}

Bytes share_of(Bytes whole, std::int64_t ways) {
  REHEARSE_CHECK(whole.bytes() % ways == 0, "{} bytes to share between {} ranks", whole.bytes(),
                 ways);
  return whole / ways;
}

}  // namespace rehearse
