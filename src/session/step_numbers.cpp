#include "session/step_numbers.h"

#include <limits>

namespace ingrain::session {

InnerStep numbers_of(const ttt::StepReport& step) {
  // Together: on a GPU each number that is asked for waits for all that is queued there.
  std::vector<Tensor> numbers{step.loss_B[0], step.norm_B[0]};
  if (step.loss_after_B.defined()) numbers.push_back(step.loss_after_B[0]);
  const Tensor host = at::stack(numbers).to(at::kCPU, at::kDouble);
  const double* x = host.data_ptr<double>();
  return {step.step, x[0], host.numel() > 2 ? x[2] : std::numeric_limits<double>::quiet_NaN(), x[1]};
}

}  // namespace ingrain::session
