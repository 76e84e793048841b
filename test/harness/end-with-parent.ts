// Loaded into vitest's workers and into every child that startProcess() starts: a run that was killed must not
// leave processes behind that look for its server for ever. A process whose parent is gone gets another one.

const parent = process.ppid

setInterval(() => {
  if (process.ppid !== parent) process.exit(1)
}, 500).unref()
