export const $ = (id) => document.getElementById(id)

export function element(name, content = '', className = '') {
  const made = document.createElement(name)
  made.className = className
  made.append(...[content].flat())
  return made
}

/** Calls it now and every second; what fails now may work then. */
export function everySecond(look) {
  const again = () => look().catch(() => undefined)
  setInterval(again, 1000)
  return again()
}

export const timeOf = (time) => new Date(time).toLocaleTimeString()
