import type { NewEvent, RecordedEvent } from './log.js'

/**
 * What stands between the events of an application and those of the log: it checks types, encrypts, or brings old forms
 * up to date. On the way in transforms run in their order, on the way out in the opposite one.
 */
export interface EventTransform {
  /** What is appended instead. Throws to refuse the whole commit. */
  write?(event: NewEvent, stream: string): NewEvent | Promise<NewEvent>
  /** What is read instead. */
  read?(event: RecordedEvent): RecordedEvent | Promise<RecordedEvent>
  /**
   * For one that gives events another type when they are read: the types of what is stored that it may show as this one,
   * itself included. Whoever selects by type means what is shown.
   */
  storedTypes?(type: string): readonly string[]
  /** The newest version in which it lets events of a type be read, if it knows the type. */
  newestVersion?(type: string): number | undefined
}

/** The newest version in which events of a type are read; undefined if no transform knows the type. */
export function newestVersionOf(transforms: readonly EventTransform[], type: string): number | undefined {
  let newest: number | undefined
  for (const transform of transforms) {
    const known = transform.newestVersion?.(type)
    if (known !== undefined) newest = Math.max(newest ?? known, known)
  }
  return newest
}

/** Types as readers know them, as those of what is stored. */
export function storedTypesOf(transforms: readonly EventTransform[], types: readonly string[]): string[] {
  let stored = new Set(types)
  for (const transform of transforms)
    if (transform.storedTypes) stored = new Set([...stored].flatMap((type) => transform.storedTypes!(type)))
  return [...stored]
}

/** Category of messages that are not due yet: events of the application, in streams of the patterns. */
export const SCHEDULED = '$scheduled'

/** Streams of the patterns themselves, which nobody follows who follows everything. */
export function isSystemStream(stream: string): boolean {
  return stream.startsWith('$')
}

/** What the patterns keep for themselves: it goes through no transforms. */
export function isStateStream(stream: string): boolean {
  return isSystemStream(stream) && !stream.startsWith(SCHEDULED)
}

/** A commit's streams with every event as the transforms leave it. */
export async function transformStreams<Append extends { stream: string; events: readonly NewEvent[] }>(
  transforms: readonly EventTransform[],
  streams: readonly Append[],
): Promise<Append[]> {
  const result: Append[] = []
  for (const append of streams) {
    if (isStateStream(append.stream)) {
      result.push(append)
      continue
    }
    const events: NewEvent[] = []
    for (let event of append.events) {
      for (const transform of transforms)
        if (transform.write) event = await transform.write(event, append.stream)
      events.push(event)
    }
    result.push({ ...append, events })
  }
  return result
}

/** An event as the transforms show it. */
export async function transformRead(
  transforms: readonly EventTransform[],
  recorded: RecordedEvent,
): Promise<RecordedEvent> {
  let event = recorded
  if (isStateStream(event.stream)) return event
  for (let index = transforms.length - 1; index >= 0; index--) {
    const transform = transforms[index]!
    if (transform.read) event = await transform.read(event)
  }
  return event
}
