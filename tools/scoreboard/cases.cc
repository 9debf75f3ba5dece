#include "tools/scoreboard/cases.h"

#include <fmt/format.h>

#include "model/base/text.h"
#include "model/scenario/scenario.h"

namespace rehearse {

void apply(const Factors& factors, ClusterSpec& cluster) {
  const auto factor = [&](const std::string& name) {
    const auto found = factors.find(name);
    return found == factors.end() ? 1.0 : found->second;
  };
  Device& device = cluster.device;
  for (KernelRate& rate : device.kernels)
    rate.memory = rate.memory * factor("memory");
  for (const KernelClass kernel :
       {KernelClass::convolution, KernelClass::matrix_product, KernelClass::attention}) {
    KernelRate& rate = device.kernels[static_cast<std::size_t>(kernel)];
    rate.compute = rate.compute * factor("products");
  }
  Messaging& messaging = device.messaging;
  messaging.collective = messaging.collective * factor("launch");
  messaging.first_per_byte = messaging.first_per_byte * factor("first");
  for (MessageProtocol& protocol : messaging.protocols)
    protocol.start = protocol.start * factor("protocol");
  if (cluster.interconnect)
    cluster.interconnect->bandwidth = cluster.interconnect->bandwidth * factor("links");
}

Result<std::string> cluster_text(const std::string& directory, const std::string& machine,
                                 std::int64_t devices) {
  const Result<std::string> file = read_text_file(directory + "/machines/" + machine + ".yaml");
  if (!file) return file.errors();
  const std::int64_t nodes = (devices + kDevicesPerNode - 1) / kDevicesPerNode;
  std::string text = fmt::format("cluster:\n  nodes: {}\n  devices_per_node: {}\n", nodes,
                                 std::min(devices, kDevicesPerNode));
  for (const std::string_view line : split(*file, '\n')) {
    const bool joins_nodes = line.starts_with("nics:") || line.starts_with("network:");
    if (line.empty() || line.front() == '#' || (nodes == 1 && joins_nodes)) continue;
    text += fmt::format("  {}\n", line);
  }
  return text;
}

Result<std::vector<Case>> cases_of_rows(const std::string& path,
                                        const std::vector<std::string>& columns,
                                        const CaseOfRow& case_of_row) {
  const Result<std::vector<CsvRow>> rows = read_csv(path, columns);
  if (!rows) return rows.errors();
  std::vector<Case> cases;
  for (const CsvRow& row : *rows) {
    Result<Case> made = case_of_row(row);
    if (!made) return made.errors();
    cases.push_back(*std::move(made));
  }
  return cases;
}

Result<std::vector<Case>> read_cases(const std::string& directory) {
  std::vector<Case> all;
  for (const auto read :
       {step_cases, memory_cases, collective_cases, bubble_cases, product_cases}) {
    Result<std::vector<Case>> cases = read(directory);
    if (!cases) return cases;
    std::move(cases->begin(), cases->end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace rehearse
