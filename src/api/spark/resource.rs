//! What makes the structures resources for clients.

use super::{GROUP, ScheduledSparkApplication, SparkApplication, VERSION};

resource!(SparkApplication, "sparkapplications", NamespaceResourceScope);
resource!(ScheduledSparkApplication, "scheduledsparkapplications", NamespaceResourceScope);
