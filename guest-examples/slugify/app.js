// Turns a text into a slug: "Größe & Gewicht!" becomes "grosse-gewicht".

export const slugify = {
  slug(text, separator) {
    const joint = separator ?? '-';
    if (!/^[-._~]+$/.test(joint)) {
      throw { tag: 'bad-separator', val: joint };
    }
    const words = text
      .toLowerCase()
      .replaceAll('ß', 'ss')
      .normalize('NFKD')
      .replace(/[\u0300-\u036f]/g, '') // the accents that NFKD has split off
      .match(/[a-z0-9]+/g);
    if (words === null) {
      throw { tag: 'nothing-left' };
    }
    return words.join(joint);
  },
};
