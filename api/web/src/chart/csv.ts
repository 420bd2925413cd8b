// A chart's figures as a file: decimal point, ISO 8601 with the plant's offset, units in the header.

/** Comma-separated text of exactly these rows; a missing figure is an empty field. */
export function toCsv(
  header: readonly string[],
  rows: readonly (readonly (string | number | null)[])[],
): string {
  const line = (cells: readonly (string | number | null)[]): string =>
    cells.map((cell) => escape(cell === null ? '' : String(cell))).join(',')
  return `\uFEFF${[line(header), ...rows.map(line)].join('\r\n')}\r\n`
}

/** A field that a spreadsheet would read as a formula is quoted text with a leading apostrophe. */
function escape(text: string): string {
  const safe = /^[=+@]|^-(?![\d.])/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

/** Hands a file to the viewer. */
export function download(name: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: 'text/csv;charset=utf-8' }))
  const link = document.createElement('a')
  link.href = address
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(address), 1000)
}
