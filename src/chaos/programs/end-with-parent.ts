// Loaded into every process that belongs to another one: when that is killed, nothing may be left behind that looks
// for its server for ever. A process whose parent is gone gets another one.

const parent = process.ppid

setInterval(() => {
  if (process.ppid !== parent) process.exit(1)
}, 500).unref()
