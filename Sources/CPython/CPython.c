#define _GNU_SOURCE

#include "CPython.h"

#include <structmember.h>
#include <sys/uio.h>
#include <unistd.h>

ssize_t cpython_copy_in(void *here, const void *there, size_t length)
{
	struct iovec near = {here, length}, far = {(void *)there, length};

	return process_vm_readv(getpid(), &near, 1, &far, 1, 0);
}

ssize_t cpython_copy_out(const void *here, void *there, size_t length)
{
	struct iovec near = {(void *)here, length}, far = {there, length};

	return process_vm_writev(getpid(), &near, 1, &far, 1, 0);
}

PyModuleDef *cpython_module_definition(const char *name, const char *doc, PyMethodDef *methods)
{
	static PyModuleDef definition = {PyModuleDef_HEAD_INIT};

	definition.m_name = name;
	definition.m_doc = doc;
	definition.m_size = -1;
	definition.m_methods = methods;
	return &definition;
}

PyMemberDef *cpython_weak_list_member(void)
{
	static PyMemberDef members[] = {
		{"__weaklistoffset__", T_PYSSIZET, CPYTHON_WEAK_LIST_OFFSET, READONLY, NULL},
		{NULL, 0, 0, 0, NULL},
	};

	return members;
}
