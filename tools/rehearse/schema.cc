#include <iostream>

#include "tools/keys/json_schema.h"
#include "tools/rehearse/commands.h"

namespace rehearse::cli {
namespace {

Syntax syntax() {
  return {{}, {{"out", "FILE", "write it there (default: print it)"}}};
}

int run(const Arguments& arguments) {
  const auto path = arguments.get("out");
  if (!path) return std::cout << json_schema(), kDone;
  const Status written = write_file(*path, json_schema());
  return written ? kDone : fail(written.errors());
}

}  // namespace

Command schema_command() {
  return {"schema", "print the JSON Schema of scenario files, which editors complete and check by",
          syntax, run};
}

}  // namespace rehearse::cli
