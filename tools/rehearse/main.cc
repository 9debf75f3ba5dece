#include "tools/rehearse/commands.h"

int main(int argc, char** argv) {
  using namespace rehearse::cli;
  const std::vector<Command> commands = {
      assignment_command(), calibrate_command(), cluster_command(),  diff_command(),
      estimate_command(),   explain_command(),   memory_command(),   model_command(),
      plan_command(),       report_command(),    simulate_command(), strategies_command(),
      sweep_command(),      trace_command(),     verify_command(),
  };
  return run_program("rehearse",
                     "Plans and predicts distributed training before the money is spent.", commands,
                     argc, argv);
}
