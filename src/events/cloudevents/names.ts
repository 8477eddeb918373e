/** Extension attributes of an event of a log. Their prefix keeps them apart from those of other producers. */
export const EXTENSION = {
  stream: 'banyanstream',
  revision: 'banyanrevision',
  position: 'banyanposition',
  commit: 'banyancommit',
  ordinal: 'banyanordinal',
  commitSize: 'banyancommitsize',
  recorded: 'banyanrecorded',
  schemaVersion: 'banyanschemaversion',
  tags: 'banyantags',
  metadata: 'banyanmetadata',
  exact: 'banyanexact',
} as const

/** What attributes cannot hold: names with control characters, times of far-off years, the id here of an event from elsewhere. */
export interface Exact {
  id?: string
  type?: string
  stream?: string
  commit?: string
  time?: number
  recorded?: number
}

const CORE = new Set([
  'specversion',
  'id',
  'source',
  'type',
  'subject',
  'time',
  'datacontenttype',
  'dataschema',
  'data',
  'correlationid',
  'causationid',
])
/** Attributes that we set, or that mean something to the official package though they are of CloudEvents 0.3. */
const TAKEN = new Set(['partitionkey', 'sequence', 'datacontentencoding', 'schemaurl', 'cloudevent'])
const OURS = new Set<string>(Object.values(EXTENSION))

/** Whether metadata of this name cannot be an attribute of this name. */
export function isReserved(name: string): boolean {
  return CORE.has(name) || TAKEN.has(name) || name.startsWith('banyan')
}

/**
 * Whether an attribute of this name that another producer has set is kept under `metadata.cloudevent`, as metadata of its
 * name would mean something else.
 */
export function isElsewhere(name: string): boolean {
  return TAKEN.has(name) || (name.startsWith('banyan') && !OURS.has(name))
}
