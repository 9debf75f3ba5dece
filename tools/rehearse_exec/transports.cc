#include "tools/rehearse_exec/transports.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>

#include "exec/direct_transport.h"
#include "exec/staged_transport.h"
#include "model/base/check.h"
#include "model/base/text.h"
#ifdef REHEARSE_HAVE_MPI
#include "exec/mpi/mpi_transport.h"
#endif
#ifdef REHEARSE_HAVE_NCCL
#include "exec/nccl/cuda_calls.h"
#include "exec/nccl/nccl_transport.h"
#endif

namespace rehearse::cli {
namespace {

struct Row {
  std::string_view name;
  TransportKind kind;
};
// Of GPUs.
constexpr Row kRows[] = {{"cuda-aware", TransportKind::cuda_aware},
                         {"nccl", TransportKind::nccl},
                         {"staged", TransportKind::staged}};

bool is_on_threads(const Arguments& arguments) {
  return arguments.has("local");
}

#ifdef REHEARSE_HAVE_NCCL
// Of this rank's machine, as MPI says, or else of all.
std::int64_t ranks_beside(const Arguments& arguments, const exec::Transport& carrier) {
  const char* const local = std::getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
  const auto known =
      local == nullptr || is_on_threads(arguments) ? std::nullopt : parse_integer(local);
  return known.value_or(static_cast<std::int64_t>(carrier.size()));
}

Status check_nccl(const Arguments& arguments, const BackendChoice& backend,
                  const exec::Transport& carrier) {
  const Status enough = exec::check_gpus_for_nccl(ranks_beside(arguments, carrier), backend.gpus);
  if (!enough) return enough;
  const Result<std::string> version = exec::nccl_version();
  return version ? success() : version.errors();
}
#else
Status check_nccl(const Arguments&, const BackendChoice&, const exec::Transport&) {
  return error("this build has no NCCL");
}
#endif

Status check_cuda_aware(const Arguments& arguments) {
  if (is_on_threads(arguments))
    return error("--transport cuda-aware is of MPI: it does not go with --local");
#ifdef REHEARSE_HAVE_MPI
  if (exec::mpi_takes_gpu_memory()) return success();
#endif
  return error(
      "this MPI does not take the memory of GPUs (MPIX_Query_cuda_support): --transport staged "
      "goes through the host");
}

Status check_here(TransportKind kind, const Arguments& arguments, const BackendChoice& backend,
                  const exec::Transport& carrier) {
  switch (kind) {
    case TransportKind::host:
    case TransportKind::staged:
      return success();
    case TransportKind::cuda_aware:
      return check_cuda_aware(arguments);
    case TransportKind::nccl:
      return check_nccl(arguments, backend, carrier);
  }
  REHEARSE_UNREACHABLE("transport kind");
}

std::vector<std::string> transport_names() {
  std::vector<std::string> names;
  for (const Row& known : kRows)
    names.emplace_back(known.name);
  return names;
}

}  // namespace

Option transport_option() {
  return {"transport", "KIND",
          "between GPUs: staged through the host (default), cuda-aware (MPI's own) or nccl",
          transport_names()};
}

Result<TransportKind> transport_of(const Arguments& arguments, const BackendChoice& backend) {
  const bool has_gpus = backend.gpus > 0;
  const auto name = arguments.get("transport");
  if (!name) return has_gpus ? TransportKind::staged : TransportKind::host;
  const auto* const row = std::find_if(std::begin(kRows), std::end(kRows),
                                       [&](const Row& known) { return known.name == *name; });
  REHEARSE_CHECK(row != std::end(kRows), "no transport '{}'", *name);
  if (!has_gpus) {
    return error(
        fmt::format("--transport {} is between GPUs: it does not go with --device cpu", row->name));
  }
  return row->kind;
}

Status check_transport(TransportKind kind, const Arguments& arguments, const BackendChoice& backend,
                       exec::Transport& carrier) {
  const Status here = check_here(kind, arguments, backend, carrier);
  const std::vector<std::string> all =
      carrier.gather(here ? std::string() : here.errors().front().message);
  const auto first =
      std::find_if(all.begin(), all.end(), [](const auto& it) { return !it.empty(); });
  const std::string message =
      carrier.broadcast(first == all.end() ? std::string() : *first, RankId(0));
  return message.empty() ? success() : error(message);
}

std::string describe_transport(TransportKind kind, const Arguments& arguments) {
  const std::string carrier = is_on_threads(arguments) ? "threads" : "MPI";
  switch (kind) {
    case TransportKind::host:
      return carrier;
    case TransportKind::cuda_aware:
      return carrier + ", CUDA-aware";
    case TransportKind::staged:
      return carrier + ", staged through the host";
    case TransportKind::nccl:
#ifdef REHEARSE_HAVE_NCCL
      return fmt::format("NCCL {}, agreed on over {}", *exec::nccl_version(), carrier);
#endif
      break;
  }
  REHEARSE_UNREACHABLE("transport kind");
}

struct DeviceTransport::Library {
#ifdef REHEARSE_HAVE_NCCL
  std::unique_ptr<exec::NcclCalls> nccl = exec::make_nccl_calls();
#endif
};

DeviceTransport::DeviceTransport(TransportKind kind, exec::Transport& carrier,
                                 exec::KernelDevice& device)
    : carrier_(carrier) {
  switch (kind) {
    case TransportKind::host:
      break;
    case TransportKind::cuda_aware:
      own_ = std::make_unique<exec::DirectTransport>(carrier, device);
      break;
    case TransportKind::staged:
      own_ = std::make_unique<exec::StagedTransport>(carrier, device);
      break;
    case TransportKind::nccl:
#ifdef REHEARSE_HAVE_NCCL
      library_ = std::make_unique<Library>();
      own_ = std::make_unique<exec::NcclTransport>(carrier, device, *library_->nccl);
#endif
      break;
  }
}

DeviceTransport::~DeviceTransport() = default;

}  // namespace rehearse::cli
