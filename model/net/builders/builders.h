// The rows of the table of networks, one file per family.
#pragma once

#include "model/net/model_spec.h"

namespace rehearse::builders {

// The field `loss` of classifiers, and the layer that it asks for.
ModelField loss_field();
LayerSpec loss_layer(const ModelSpec& resolved, std::int64_t classes);

ModelBuilder mlp();
ModelBuilder resnet18();
ModelBuilder resnet20();
ModelBuilder resnet50();
ModelBuilder vit();
ModelBuilder gpt();
ModelBuilder llama();

}  // namespace rehearse::builders
