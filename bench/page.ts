import type { Report } from '../src/bench/index.js'
export function reportPage(_report: Report): string {
  return ''
}
