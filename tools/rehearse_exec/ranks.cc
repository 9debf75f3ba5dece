#include "tools/rehearse_exec/ranks.h"

#include <fmt/format.h>

#include <atomic>
#include <iostream>

#include "tools/cli/terminal.h"
#include "tools/rehearse_exec/backends.h"
#ifdef REHEARSE_HAVE_MPI
#include "exec/mpi/mpi_transport.h"
#endif

namespace rehearse::cli {
namespace {

int run_on_threads(std::size_t ranks, const std::function<int(exec::Transport&)>& body) {
  std::atomic<int> code{kDone};
  try {
    exec::run_local(ranks, [&](exec::Transport& transport) {
      const int own = body(transport);
      int known = code.load();
      while (own > known && !code.compare_exchange_weak(known, own)) {
      }
    });
  } catch (const std::bad_alloc&) {
    return fail(error("this machine has no memory for the ranks' data"));
  } catch (const std::exception& problem) {  // as over MPI: whatever ends one rank ends the job
    return fail(error(problem.what()));
  }
  return code;
}

int run_on_processes(const std::function<int(exec::Transport&)>& body) {
#ifdef REHEARSE_HAVE_MPI
  int code = kDone;
  exec::run_mpi([&](exec::Transport& transport) { code = body(transport); });
  return code;
#else
  (void)body;
  return fail(error("this build has no MPI: run on threads with --local N"));
#endif
}

}  // namespace

std::vector<Option> rank_options() {
  return {{"local", "N", "N ranks as threads of this process, without MPI"},
          {"device", "KIND", "cpu (default) or cuda", {"cpu", "cuda"}},
          {"backend",
           "NAME",
           "kernels of the cpu: onednn (default) or reference",
           {exec::backend_names().begin(), exec::backend_names().end()}},
          {"threads", "N", "threads of every rank's kernels on the cpu (default: 1)"}};
}

int run_ranks(const Arguments& arguments, const std::function<int(exec::Transport&)>& body) {
  if (!arguments.has("local")) return run_on_processes(body);
  const Result<std::int64_t> ranks = arguments.count("local", 1, 1);
  if (!ranks) return fail(ranks.errors());
  if (*ranks > kMostThreads) {
    return fail(
        error(fmt::format("--local expects at most {} ranks, got {}", kMostThreads, *ranks)));
  }
  return run_on_threads(static_cast<std::size_t>(*ranks), body);
}

int fail_once(exec::Transport& transport, const Diagnostics& errors) {
  return transport.rank() == RankId(0) ? fail(errors) : kWrongInput;
}

std::optional<std::string> from_rank_0(exec::Transport& transport,
                                       const std::function<Result<std::string>()>& make) {
  std::string message;
  if (transport.rank() == RankId(0)) {
    const Result<std::string> text = make();
    if (!text) print_errors(text.errors());
    if (text) message = "+" + *text;
  }
  message = transport.broadcast(message, RankId(0));
  if (message.empty()) return std::nullopt;
  return message.substr(1);
}

}  // namespace rehearse::cli
