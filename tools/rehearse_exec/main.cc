#include "tools/rehearse_exec/commands.h"

int main(int argc, char** argv) {
  using namespace rehearse::cli;
  const Program program{"rehearse-exec",
                        "Measures machines and trains with plans, over MPI or on threads.",
                        {measure_command(), train_command()}};
  return run_program(program, argc, argv);
}
