#include "model/base/check.h"
#include "model/net/builders/builders.h"

namespace rehearse::builders {

ModelField loss_field() {
  return {"loss", FieldKind::loss, {0}, "cross-entropy, or squared-error"};
}

LayerSpec loss_layer(const ModelSpec& resolved, std::int64_t classes) {
  switch (static_cast<Loss>(resolved.at("loss"))) {
    case Loss::cross_entropy:
      return CrossEntropy{classes};
    case Loss::squared_error:
      return SquaredError{classes};
  }
  REHEARSE_UNREACHABLE("loss");
}

}  // namespace rehearse::builders
