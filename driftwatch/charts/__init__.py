"""SVG charts as pure functions from numbers to markup.

Every text is escaped and every drawing has a title for screen readers. Colours are the style sheet's, or the
drawing's own (``svg.standalone_svg``). What a colour says, a shape or a word says too.
"""
