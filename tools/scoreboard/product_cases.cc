#include <fmt/format.h>

#include "model/cluster/device.h"
#include "model/scenario/scenario.h"
#include "tools/predict/predict.h"
#include "tools/scoreboard/cases.h"
#include "tools/scoreboard/csv.h"

namespace rehearse {
namespace {

Result<Device> device_named(const std::string& name, const std::string& directory) {
  for (const std::string& folder : profile_path(directory + "/products.csv").directories) {
    Result<Device> device = read_device(folder + "/" + name + ".yaml");
    if (device) return device;
  }
  return error(fmt::format("there is no profile '{}'", name));
}

// A product of bf16, whose result takes so many bytes of traffic for each of its elements.
Result<Case> case_of(const std::string& directory, const CsvRow& row) {
  const auto m = row.count("m"), n = row.count("n"), k = row.count("k"),
             result = row.count("result_bytes");
  const auto share = row.number("share_of_peak");
  for (const auto& number : {m, n, k, result}) {
    if (!number) return number.errors();
  }
  if (!share) return share.errors();
  const Result<Device> device = device_named(row.text("device"), directory);
  if (!device) return device.errors();
  const Bytes traffic = Bytes::bytes(2 * (*m * *k + *k * *n) + *result * *m * *n);
  const Product product{*m, *n, *k, 1, traffic};
  Case made{"products " + row.text("device"),
            fmt::format("{} x {} x {}, {} B", *m, *n, *k, *result), "", row.text("device")};
  made.device = row.text("device");
  made.constants = {"products"};
  made.is_fitted = row.text("fit") == "yes";
  made.measured = (product.flops() / (device->peak.at(DataType::bf16) * *share)).seconds();
  made.predict = [product, device = *device](const Factors& factors) -> Result<double> {
    ClusterSpec changed;
    changed.device = device;
    apply(factors, changed);
    return price(changed.device, KernelClass::matrix_product, product.flops(), product.traffic,
                 std::span(&product, 1))
        .seconds();
  };
  return made;
}

}  // namespace

Result<std::vector<Case>> product_cases(const std::string& directory) {
  return cases_of_rows(directory + "/products.csv",
                       {"device", "m", "n", "k", "result_bytes", "share_of_peak", "fit"},
                       [&](const CsvRow& row) { return case_of(directory, row); });
}

}  // namespace rehearse
