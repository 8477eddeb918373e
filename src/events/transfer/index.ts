/**
 * Events as lines of text: export, import, archive. Each line is a CloudEvent (newline-delimited JSON), so that other tools
 * read it too.
 *
 * `exportEvents` makes lines, `importEvents` appends them to a log, `readEvents` only reads them; `fileLines` and
 * `writeLines` are their files. `archive` is an export that is checked, and then truncated.
 */
export { exportEvents, type ExportOptions } from './export.js'
export {
  importEvents,
  type ImportConflict,
  type ImportCounts,
  type Imported,
  type ImportOptions,
  type ImportResult,
} from './import.js'
export { readEvents, type Lines } from './commits.js'
