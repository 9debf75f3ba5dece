#include "tools/keys/print_keys.h"
#include "tools/rehearse/commands.h"

int main(int argc, char** argv) {
  using namespace rehearse::cli;
  const Program program{
      "rehearse",
      "Plans and predicts distributed training before the money is spent.",
      {
          advise_command(),
          assignment_command(),
          calibrate_command(),
          cluster_command(),
          diff_command(),
          estimate_command(),
          explain_command(),
          init_command(),
          memory_command(),
          model_command(),
          plan_command(),
          report_command(),
          schema_command(),
          simulate_command(),
          strategies_command(),
          sweep_command(),
          trace_command(),
          verify_command(),
      },
      {{"scenario", "tells every key of scenario files", rehearse::print_keys}},
  };
  return run_program(program, argc, argv);
}
