// Waiting for messages outside of training.
#pragma once

#include "exec/transport.h"

namespace rehearse::exec {

inline void wait_for(Transport& transport, Request request) {
  while (!transport.test(request))
    transport.idle();
  transport.reset_idle();
}

}  // namespace rehearse::exec
