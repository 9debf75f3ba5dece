#include "tools/rehearse_exec/backends.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "model/base/text.h"
#ifdef REHEARSE_HAVE_CUDA
#include "exec/cuda/cuda_backend.h"
#endif

namespace rehearse::cli {
namespace {

#ifdef REHEARSE_HAVE_CUDA
Result<BackendChoice> cuda_of(const Arguments& arguments) {
  for (const char* option : {"backend", "threads"}) {
    if (arguments.has(option))
      return error(fmt::format("--{} is of the cpu: it does not go with --device cuda", option));
  }
  const Result<int> gpus = exec::count_gpus();
  if (!gpus) {
    return error(fmt::format("no GPU can be used here: {}", gpus.errors().front().message));
  }
  return BackendChoice{"cuda", 1, *gpus};
}

// A rank's number among those of its machine: as MPI says, or else all are on this one.
int number_on_machine(RankId rank) {
  const char* const local = std::getenv("OMPI_COMM_WORLD_LOCAL_RANK");
  const auto number = local == nullptr ? std::nullopt : parse_integer(local);
  return static_cast<int>(number.value_or(rank.value()));
}
#else
Result<BackendChoice> cuda_of(const Arguments&) {
  return error("this build has no CUDA backend");
}
#endif

}  // namespace

Result<BackendChoice> backend_of(const Arguments& arguments) {
  const std::string device = arguments.get("device").value_or("cpu");
  if (device == "cuda") return cuda_of(arguments);
  const std::string name = arguments.get("backend").value_or("onednn");
  const Result<std::int64_t> threads = arguments.count("threads", 1, 1);
  if (!threads) return threads.errors();
  if (*threads > kMostThreads)
    return error(fmt::format("--threads expects at most {}, got {}", kMostThreads, *threads));
  if (name == "reference" && *threads > 1) return error("the reference kernels run on one thread");
  return BackendChoice{name, static_cast<int>(*threads)};
}

namespace {

struct GpuOption {
  const char *name, *help;
  bool BackendChoice::*chosen;
};
constexpr GpuOption kGpuOptions[] = {
    {"fuse",
     "linear layers and the GELUs beside them in one kernel of a GPU, where there is one: on or "
     "off (default)",
     &BackendChoice::fuses},
    {"graphs",
     "kernels that are the same in every step as graphs of a GPU, which replays them: on or off "
     "(default)",
     &BackendChoice::records},
};

}  // namespace

std::vector<Option> gpu_options() {
  std::vector<Option> options;
  for (const GpuOption& it : kGpuOptions)
    options.push_back({it.name, "on|off", it.help, {"off", "on"}});
  return options;
}

Result<BackendChoice> with_gpu_options(const Arguments& arguments, BackendChoice choice) {
  for (const GpuOption& it : kGpuOptions) {
    choice.*it.chosen = arguments.get(it.name) == "on";
    if (choice.*it.chosen && choice.name != "cuda")
      return error(fmt::format("--{} is of GPUs: it does not go with --device cpu", it.name));
  }
  return choice;
}

std::string describe(const BackendChoice& choice) {
  std::string text = choice.name;
  for (const GpuOption& it : kGpuOptions) {
    if (choice.*it.chosen) text += fmt::format(", --{} on", it.name);
  }
  return text;
}

std::optional<Gpu> gpu_of([[maybe_unused]] const BackendChoice& choice,
                          [[maybe_unused]] RankId rank) {
#ifdef REHEARSE_HAVE_CUDA
  if (choice.name == "cuda") return exec::describe_gpu(number_on_machine(rank) % choice.gpus);
#endif
  return std::nullopt;
}

const std::vector<DataType>& types_of(const BackendChoice& choice) {
#ifdef REHEARSE_HAVE_CUDA
  if (choice.name == "cuda") return exec::cuda_types();
#endif
  return exec::backend_types(choice.name);
}

std::unique_ptr<exec::Backend> make_backend(const BackendChoice& choice, DataType type,
                                            Reduction reduction, [[maybe_unused]] RankId rank) {
#ifdef REHEARSE_HAVE_CUDA
  if (choice.name == "cuda")
    return exec::make_cuda_backend(type, number_on_machine(rank) % choice.gpus,
                                   {.fuses = choice.fuses});
#endif
  return exec::make_backend(choice.name, type, {choice.threads, reduction});
}

}  // namespace rehearse::cli
