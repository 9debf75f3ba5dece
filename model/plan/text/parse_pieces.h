// The pieces of parse_plan(): the head of a plan, and what each of its statements says. They throw
// Malformed.
#pragma once

#include "model/plan/plan.h"
#include "model/plan/plan_text.h"
#include "model/plan/text/plan_line.h"

namespace rehearse::plan_text {

// All that is said once, from the version to the stage costs.
ParsedPlan parse_head(Lines& lines);

// What follows a statement's keyword and number, up to the line's end.
RankProgram parse_program(Line line);
Lane parse_lane(Line line);
// keyword: class, read_class or parked_class.
ParameterClass parse_class(Line line, std::string_view keyword);
Buffer parse_buffer(Line line);
Op parse_op(Line line);
RankBinding parse_rank(Line line);

}  // namespace rehearse::plan_text
