/**
 * Characters that do something to a terminal or hide what is there: controls (an event type could clear the screen),
 * and what turns the direction of writing or takes no room.
 */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** Text of somebody else, so that on a terminal it is seen and does nothing. */
export function printable(text: string): string {
  return text.replace(UNSEEN, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`)
}
