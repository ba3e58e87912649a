// A report's part about recall by age.
#pragma once

#include "report/page.h"

namespace ingrain::study {

/// Nothing where nothing was measured. `gathered`: as gather() gives it (study/report.h).
void tell_recall(report::Page& page, const nlohmann::json& gathered);

}  // namespace ingrain::study
