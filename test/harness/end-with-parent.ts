// Loaded into every child that startProcess() starts: a run that was killed must not leave consumers behind
// that look for its server for ever. A process whose parent is gone gets another one.

const parent = process.ppid

setInterval(() => {
  if (process.ppid !== parent) process.exit(1)
}, 500).unref()
