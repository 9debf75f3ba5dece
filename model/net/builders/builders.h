// The rows of the table of networks, one file per family.
#pragma once

#include "model/net/model_spec.h"

namespace rehearse::builders {

// Fields that plans leave out where they have their presets.
ModelField tacit(ModelField field);
ModelField dropout_field();
ModelField kernels_field();
ModelField activation_field(Activation preset);

// Width of the feed-forward part, 0: four times the width of the stream.
ModelField hidden_field();
std::int64_t hidden_width(const ModelSpec& resolved);
ModelField rotary_base_field();
// Errors: so many channels of a head cannot be rotated.
Status check_rotary(std::int64_t rotated, std::int64_t head_size);

// The layer that a feed-forward part has for it.
LayerSpec activation_layer(Activation activation);

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
