// An inner step as the public interface tells of it.
#pragma once

#include "ingrain/reader.h"
#include "ttt/read.h"

namespace ingrain::session {

/// Of the batch's first sequence. Waits for the device.
InnerStep numbers_of(const ttt::StepReport& step);

}  // namespace ingrain::session
