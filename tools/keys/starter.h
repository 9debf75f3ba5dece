// A scenario to start from.
#pragma once

#include <string>

#include "model/base/diagnostic.h"

namespace rehearse {

struct Starter {
  std::string name = "My training";
  std::string model = "gpt";             // a row of model_builders()
  std::string device = "h100-sxm-80gb";  // a profile's name
  std::string dtype = "bf16";
  std::int64_t nodes = 2, devices_per_node = 8;
  bool is_small = false;  // a network and batches that CPUs train in seconds
};

// The file's text: what is needed and what is often changed, each with what it means; what is left
// to its default stands there as a comment. Errors: there is no such model.
Result<std::string> print_starter(const Starter& starter);

}  // namespace rehearse
