// libFuzzer calls this with inputs of its own making; REHEARSE_FUZZ_TARGET names the parser.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  rehearse::fuzz::REHEARSE_FUZZ_TARGET(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
