// Loaded into vitest's workers and into every child that startProcess() starts: a run that was killed must not
// leave processes behind that look for its server for ever.

import '../../src/chaos/programs/end-with-parent.js'
