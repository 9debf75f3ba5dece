// The rows of the table of networks, one file per family.
#pragma once

#include "model/net/model_spec.h"

namespace rehearse::builders {

ModelBuilder mlp();
ModelBuilder resnet18();
ModelBuilder resnet20();
ModelBuilder resnet50();
ModelBuilder vit();
ModelBuilder gpt();
ModelBuilder llama();

}  // namespace rehearse::builders
