/**
 * Events as lines of text: export, import, archive. Each line is a CloudEvent (newline-delimited JSON), so that other tools
 * read it too.
 *
 * `exportEvents` makes lines, `importEvents` appends them to a log, `readEvents` only reads them; `fileLines` and
 * `writeLines` are their files. `archive` is an export that is checked, and then truncated.
 */
export { exportEvents, type ExportOptions } from './export.js'
export { importEvents, type ImportOptions } from './import.js'
export type { ImportConflict, ImportCounts, Imported, ImportResult } from './import-result.js'
export { readEvents, type Lines } from './commits.js'
export { fileLines, splitLines, writeLines, type WrittenLines } from './files.js'
export { archive, type Archived, type ArchiveOptions } from './archive.js'
