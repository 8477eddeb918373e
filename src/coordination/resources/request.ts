import { checkOptions, type OptionTable } from '../../core/options.js'
import type {
  DeleteCollectionOptions,
  DeleteResourceOptions,
  ListOptions,
  PatchOptions,
  PatchScaleOptions,
  Selection,
  WatchResourcesOptions,
  WriteOptions,
} from './api.js'

const SELECTION: OptionTable<Selection> = {
  namespace: { kind: 'string', doc: 'Only in this namespace.' },
  labelSelector: { kind: 'string', doc: 'Only with such labels.' },
  fieldSelector: { kind: 'string', doc: 'Only with such fields.' },
}
const dryRun = { kind: 'boolean', doc: 'Whether nothing is written.' } as const
const propagationPolicy = {
  kind: 'choice',
  values: ['Background', 'Foreground', 'Orphan'],
  doc: 'What becomes of those that belong to it.',
} as const
const resourceVersion = { kind: 'string', doc: 'Which version.' } as const

const LIST: OptionTable<ListOptions> = {
  ...SELECTION,
  resourceVersion,
  resourceVersionMatch: { kind: 'choice', values: ['NotOlderThan', 'Exact'], doc: 'How it is meant.' },
  limit: { kind: 'number', min: 0, integer: true, doc: 'At most this many; 0 for all.' },
  continue: { kind: 'string', doc: 'What the list before this one said.' },
}
const WRITE: OptionTable<WriteOptions> = {
  dryRun,
  fieldValidation: {
    kind: 'choice',
    values: ['Strict', 'Warn', 'Ignore'],
    doc: 'What becomes of unknown fields.',
  },
  onWarning: { kind: 'code', type: 'function', doc: 'told of unknown fields' },
  fieldManager: { kind: 'string', doc: 'Who writes.' },
}
const PATCH_SCALE: OptionTable<PatchScaleOptions> = {
  ...WRITE,
  force: { kind: 'boolean', doc: 'Whether to take over fields that others have.' },
}
const PATCH: OptionTable<PatchOptions> = {
  ...PATCH_SCALE,
  subresource: { kind: 'choice', values: ['status'], doc: 'The part that is changed.' },
}
const DELETE: OptionTable<DeleteResourceOptions> = {
  dryRun,
  propagationPolicy,
  preconditions: {
    kind: 'group',
    options: { uid: { kind: 'string', doc: 'Its own.' }, resourceVersion },
    doc: 'What must be so.',
  },
}
const DELETE_COLLECTION: OptionTable<DeleteCollectionOptions> = { ...SELECTION, dryRun, propagationPolicy }
const WATCH: OptionTable<WatchResourcesOptions> = {
  ...SELECTION,
  resourceVersion,
  sendInitialEvents: { kind: 'boolean', doc: 'Whether what there is comes first.' },
  allowWatchBookmarks: { kind: 'boolean', doc: 'Whether to be told how far everything was told.' },
  signal: { kind: 'code', type: 'object', doc: 'ends the watch' },
}
const TABLES = {
  list: LIST,
  write: WRITE,
  patch: PATCH,
  patchScale: PATCH_SCALE,
  delete: DELETE,
  deleteCollection: DELETE_COLLECTION,
  watch: WATCH,
}

/** @throws `BANYAN_INVALID_OPTIONS`: what is misspelled would delete or list more than is meant */
export function checkRequest(request: keyof typeof TABLES, options: object): void {
  checkOptions(`resources.${request}`, TABLES[request] as OptionTable<object>, options)
}
