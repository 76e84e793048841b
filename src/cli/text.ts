// Text that goes to a terminal: what comes from elsewhere may hold control characters and newlines.

/** Without control characters, which could move the cursor or recolour the screen of whoever reads it. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, ' ')
}

/** The same in one line. */
export function oneLine(text: string): string {
  return printable(text).replace(/\s*\n\s*/g, ' ')
}

/** At most so many characters, the last of them an ellipsis where something was cut. */
export function cut(text: string, length: number): string {
  const characters = text.length <= length ? [] : [...text]
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join('')}…`
}

/** `1 message`, `2 messages`. */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`
}
