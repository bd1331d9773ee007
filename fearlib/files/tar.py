"""Members of a .tar from outside."""

import tarfile

MAX_EXTENSION = 2**16  # bytes of a name, or extended header, in a .tar
_EXTENSIONS = (
    tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
)  # fmt: skip


class BoundedMember(tarfile.TarInfo):
    """A member of a .tar whose long name, and whatever else precedes it, is not read without bound."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _EXTENSIONS and self.size > MAX_EXTENSION:
            raise tarfile.ReadError(f"a name or extended header in it has {self.size} bytes")
        return super()._proc_member(archive)
