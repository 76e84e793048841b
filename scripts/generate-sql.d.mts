export function renderSql(): string
export function generateSql(): void
