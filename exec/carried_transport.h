// A transport that leaves to another one all but its messages.
#pragma once

#include <string>
#include <vector>

#include "exec/transport.h"

namespace rehearse::exec {

class CarriedTransport : public Transport {
 public:
  RankId rank() const override { return carrier_.rank(); }
  std::size_t size() const override { return carrier_.size(); }
  void barrier() override { carrier_.barrier(); }
  std::vector<std::string> gather(const std::string& text) override {
    return carrier_.gather(text);
  }
  std::string broadcast(const std::string& text, RankId root) override {
    return carrier_.broadcast(text, root);
  }
  void abort(const std::string& message) override { carrier_.abort(message); }
  void idle() override { carrier_.idle(); }
  void reset_idle() override { carrier_.reset_idle(); }

 protected:
  // It must outlive this one.
  explicit CarriedTransport(Transport& carrier) : carrier_(carrier) {}

  Transport& carrier_;
};

}  // namespace rehearse::exec
