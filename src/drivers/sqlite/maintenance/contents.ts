import type { Database } from 'better-sqlite3'
import { isWhole } from '../../../events/checksum.js'
import { START } from '../../../events/position.js'
import { readPage } from '../reader/page.js'
import { Reader } from '../reader/reader.js'
import type { Problem } from './problems.js'

const PAGE_EVENTS = 512

/** Reads all events, and compares each with its checksum. */
export function* findDamagedEvents(db: Database, file: string): Generator<Problem, void, undefined> {
  const reader = new Reader(db, file)
  let after = START
  for (let end = false; !end;) {
    const page = readPage(reader, { after, limit: PAGE_EVENTS, backwards: false })
    for (const event of page.events) {
      const { stream, revision, position } = event
      if (!isWhole(event))
        yield { message: `${stream}@${revision} is not what was appended: its checksum is wrong`, position }
    }
    after = page.position
    end = page.end
  }
}
