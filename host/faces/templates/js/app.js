// Facts about texts.

export const text = {
  count(text) {
    const words = text.split(/\s+/).filter((word) => word !== '');
    if (words.length === 0) {
      throw 'no-words';
    }
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    return { words: words.length, lines: lines.length, characters: [...text].length };
  },
};
