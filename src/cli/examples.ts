// What stands at the end of each help.

export function examples(...lines: readonly string[]): string {
  const shown = lines.map((line) => `  $ ${line}`).join('\n')
  return `\n${lines.length === 1 ? 'Example' : 'Examples'}:\n${shown}`
}
