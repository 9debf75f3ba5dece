// What messages cost ranks of one host, from ping-pong.
//
// Half a round trip and what each thread measured of itself are lines in the bytes, of least
// relative error; sizes that are far from the line of the others count little (cost/robust.h).
// per_message is a thread's mean fixed part, the latency what is left of the message's; per
// byte, the threads' parts are what they measured, scaled up to fill the message's time where they
// fall short of it.
#pragma once

#include <optional>
#include <vector>

#include "cost/fit_kernels.h"
#include "model/cluster/device.h"
#include "model/cluster/samples.h"

namespace rehearse {

struct MessageFit {
  Messaging messaging;
  double median_error = 0;  // |priced / measured - 1| over the sizes
  // Seconds of a message of no bytes, and per byte.
  std::optional<Interval> fixed, per_byte, reduce_per_byte;
};

MessageFit fit_messages(const Samples& samples);

// What a message takes one way, while all other ranks rest.
Seconds priced_message(const Messaging& messaging, Bytes bytes);

}  // namespace rehearse
